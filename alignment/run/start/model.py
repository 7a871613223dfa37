"""The model that a run starts from: embedded, a folder, a hub id, or a copy prepared in the run's base/.

Neighbours: run/base_model.py (prepares the copy), run/plan.py (what starts from it).
"""

from dataclasses import dataclass
from pathlib import Path

from alignment.core.differences import differences
from alignment.core.errors import StaleInputsError
from alignment.core.files import content_hash
from alignment.core.resources import EMBEDDED, model_place
from alignment.core.typed_json import encode
from alignment.data.chat.templates import TODAY, template_identity
from alignment.recipe.schema import Recipe
from alignment.records.adapter import is_adapter_alone
from alignment.records.run import PreparedBase
from alignment.records.run_folder import RunFolder
from alignment.run.start.hub import hub_file, is_hub_adapter, pinned_folder

PREPARED = "prepared.json"  # in base/: the settings it was prepared with


@dataclass(frozen=True)
class StartingModel:
    """The base model of a recipe in a run directory."""

    recipe: Recipe
    run: RunFolder

    @property
    def path(self) -> str:
        """Folder or hub id: the prepared copy in base/ if there is one."""
        if (self.run.base / "config.json").exists():
            return str(self.run.base)
        return model_place(self.recipe.model)

    def local(self) -> str:
        """A folder with the model; one of the hub is downloaded first."""
        if Path(self.path).is_dir():
            return self.path
        recipe = self.recipe
        return pinned_folder(recipe.model, recipe.revision or "main", trust_remote_code=recipe.trust_remote_code)

    @property
    def settings(self) -> PreparedBase:
        """The settings that base/ is prepared from."""
        recipe = self.recipe
        template = None if recipe.chat_template is None else template_identity(recipe.chat_template)
        return PreparedBase(recipe.model, tuple(recipe.add_tokens), template, recipe.revision)

    def needs_preparing(self) -> bool:
        """Whether base/ has to be prepared. Raises StaleInputsError if it was prepared with other settings."""
        made = self.run.base / PREPARED
        if not made.exists():
            asked = bool(self.recipe.add_tokens or self.recipe.chat_template) or self.adapter() is not None
            return asked or self._writes_the_date()
        changed = list(differences(encode(PreparedBase.read(made)), encode(self.settings)))
        if changed:
            raise StaleInputsError(
                f"{self.run.base} was prepared with other settings than the recipe has now: {'; '.join(changed)}. "
                "Write `--run DIRECTORY` to use the new settings in a new run directory."
            )
        return False

    def _writes_the_date(self) -> bool:
        """Whether the model's own template writes today's date: base/ keeps one, so that rows do not change from day to day."""
        recipe, folder = self.recipe, Path(self.recipe.model)
        if recipe.model == EMBEDDED:
            return False
        names = ("chat_template.jinja", "tokenizer_config.json")
        local = folder.is_dir()
        files = [folder / name if local else hub_file(recipe.model, name, recipe.revision) for name in names]
        return any(one is not None and one.is_file() and TODAY in one.read_text("utf-8", "replace") for one in files)

    def adapter(self) -> Path | None:
        """The folder of the adapter that the recipe's model is; None for a whole model. Asks the hub about a hub id."""
        recipe, folder = self.recipe, Path(self.recipe.model)
        if recipe.model == EMBEDDED:
            return None
        if folder.is_dir():
            return folder if is_adapter_alone(folder) else None
        if not is_hub_adapter(recipe.model, recipe.revision):
            return None
        return Path(pinned_folder(recipe.model, recipe.revision or "main", trust_remote_code=recipe.trust_remote_code))

    def input_hash(self) -> str:
        """SHA-256 of the folder's content, or the name of a model on the hub."""
        folder = Path(self.path)
        return content_hash(folder) if folder.is_dir() else f"hub:{self.recipe.pinned_model}"
