"""Pretrain the embedded model from scratch: `python -m alignment.training.base_model.pretrain --output data/base`.

Covered: tokenizer, random weights, causal language modelling on packed documents, a cosine schedule, safetensors. Not
covered: resuming, several devices, evaluation beyond the loss and a few greedy continuations. Documents in one row may
attend to each other, which does no harm with short independent chains.
"""

import itertools
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import torch
import typer
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM

from alignment.core.console import open_console
from alignment.core.resources import resource
from alignment.data.chat.template import IGNORED
from alignment.training.base_model.corpus import documents
from alignment.training.base_model.tokenizer import END_OF_TEXT, train_tokenizer

VOCABULARY = 512
CONTEXT = 256
BATCH = 8  # small: copying from the question emerges after a number of steps, not tokens
CORPUS_SEED = 20_250_509  # the date of the Qwen3 report; no stage and no evaluation uses it
PROBES = ("12 + 7 - 4 =\n", "55 + 98 + 93 + 77 + 13 - 69 =\n", "7 - 14 + 3 =\n")


def new_model(tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """A Qwen3 of 0.85 million parameters with random weights."""
    return Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=VOCABULARY, hidden_size=128, intermediate_size=384, num_hidden_layers=4,
            num_attention_heads=4, num_key_value_heads=2, head_dim=32, max_position_embeddings=1024,
            tie_word_embeddings=True, bos_token_id=None, eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id, rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
        )
    )  # fmt: skip


def rows(tokenizer: PreTrainedTokenizerFast, seed: int) -> Iterator[tuple[list[int], list[int]]]:
    """Token ids and labels of CONTEXT + 1 tokens, filled with whole documents and padded.

    A document split over two rows would be a chain without its question, which would teach the model to invent.
    """
    end = tokenizer.convert_tokens_to_ids(END_OF_TEXT)
    ids, labels, source = [end], [IGNORED], documents(seed)
    while True:
        read, learned = zip(*itertools.islice(source, 256), strict=True)
        questions, answers = tokenizer(list(read))["input_ids"], tokenizer(list(learned))["input_ids"]
        for question, answer in zip(questions, answers, strict=True):
            room = CONTEXT + 1 - len(ids)
            if len(question) + len(answer) + 1 > room:
                yield ids + [end] * room, labels + [IGNORED] * room
                ids, labels = [end], [IGNORED]
            ids += [*question, *answer, end]
            labels += [*([IGNORED] * len(question)), *answer, end]


def batches(tokenizer: PreTrainedTokenizerFast, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """An unlimited number of (token ids, labels), both of shape (BATCH, CONTEXT); tokens without loss are IGNORED."""
    source = rows(tokenizer, seed)
    while True:
        ids, labels = zip(*itertools.islice(source, BATCH), strict=True)
        yield torch.tensor(ids)[:, :-1], torch.tensor(labels)[:, 1:]


def learning_rate_at(step: int, steps: int, peak: float) -> float:
    """Linear warm-up over 2% of the steps, then a cosine down to a fiftieth of the peak."""
    warm_up = max(1, steps // 50)
    if step < warm_up:
        return peak * (step + 1) / warm_up
    progress = (step - warm_up) / max(1, steps - warm_up)
    return peak * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))


def main(
    output: Annotated[Path, typer.Option(help="Folder for the model and its tokenizer.")],
    steps: Annotated[int, typer.Option(help="Optimizer steps of 2,048 tokens each.")] = 5500,
    learning_rate: Annotated[float, typer.Option(help="Peak learning rate.")] = 2e-3,
    seed: Annotated[int, typer.Option(help="Seed of the initial weights.")] = 0,
) -> None:
    """Train tokenizer and model, print loss, rate and time left, and save bfloat16 safetensors."""
    console = open_console()
    torch.manual_seed(seed)
    template = resource("data/templates/qwen3.jinja")
    texts = (read + learned for read, learned in itertools.islice(documents(CORPUS_SEED), 20_000))
    tokenizer = train_tokenizer(texts, VOCABULARY, template)
    model = new_model(tokenizer).train()
    console.print(f"{sum(p.numel() for p in model.parameters()):,} parameters, vocabulary {len(tokenizer)}")
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, betas=(0.9, 0.95), weight_decay=0.05)
    compiled = torch.compile(model)
    started = time.monotonic()
    for step, (tokens_BT, labels_BT) in zip(range(steps), batches(tokenizer, CORPUS_SEED), strict=False):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step, steps, learning_rate)
        logits_BTV = compiled(input_ids=tokens_BT).logits
        loss = torch.nn.functional.cross_entropy(
            logits_BTV.reshape(-1, VOCABULARY), labels_BT.reshape(-1), ignore_index=IGNORED
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        if step % 100 == 0 or step == steps - 1:
            spent = time.monotonic() - started
            rate = (step + 1) * BATCH * CONTEXT / spent
            left = spent / (step + 1) * (steps - step - 1)
            console.print(f"step {step + 1}/{steps}  loss {loss.item():.4f}  {rate:,.0f} tokens/s  {left:,.0f} s left")
    model.eval()
    for probe in PROBES:
        ids = torch.tensor([tokenizer(END_OF_TEXT + probe)["input_ids"]])
        text = tokenizer.decode(
            model.generate(
                ids, attention_mask=torch.ones_like(ids), max_new_tokens=90, do_sample=False, pad_token_id=0
            )[0]
        )
        console.print(text.removeprefix(END_OF_TEXT).split(END_OF_TEXT)[0], markup=False)
    model.to(torch.bfloat16).save_pretrained(output)
    tokenizer.save_pretrained(output)
    console.print(f"saved to {output}")


if __name__ == "__main__":
    typer.run(main)
