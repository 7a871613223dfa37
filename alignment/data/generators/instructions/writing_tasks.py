"""What the problems ask to write, and about what. The wording is our own.

Neighbours: constraints.py (what is asked of the form), training.py and evaluation.py (which join both).
"""

SUBJECTS: dict[str, tuple[str, ...]] = {
    "the sea": ("salt", "waves", "blue", "fish", "deep", "ship"),
    "the moon": ("night", "light", "round", "sky", "tide", "silver"),
    "a cat": ("fur", "tail", "milk", "sleep", "mouse", "soft"),
    "a dog": ("friend", "bone", "bark", "walk", "loyal", "park"),
    "bread": ("flour", "oven", "warm", "crust", "baker", "butter"),
    "rain": ("cloud", "wet", "umbrella", "drop", "river", "grey"),
    "winter": ("snow", "cold", "ice", "coat", "dark", "fire"),
    "summer": ("sun", "hot", "beach", "holiday", "fruit", "swim"),
    "a garden": ("flower", "seed", "soil", "water", "grow", "green"),
    "a library": ("book", "quiet", "read", "shelf", "story", "learn"),
    "a train": ("track", "station", "fast", "window", "ticket", "travel"),
    "a bicycle": ("wheel", "ride", "road", "chain", "balance", "hill"),
    "coffee": ("cup", "morning", "bean", "black", "smell", "sugar"),
    "tea": ("leaf", "pot", "hot", "honey", "drink", "calm"),
    "a school": ("teacher", "class", "lesson", "child", "pencil", "desk"),
    "a football match": ("ball", "goal", "team", "crowd", "win", "run"),
    "a mountain": ("high", "climb", "rock", "peak", "snow", "view"),
    "a forest": ("tree", "leaf", "bird", "path", "shade", "deer"),
    "music": ("song", "dance", "piano", "voice", "listen", "sound"),
    "a birthday": ("cake", "gift", "candle", "party", "year", "happy"),
    "a bird": ("wing", "nest", "fly", "feather", "egg", "sing"),
    "a computer": ("screen", "code", "key", "work", "game", "memory"),
    "a market": ("price", "stall", "apple", "buy", "sell", "busy"),
    "a doctor": ("health", "care", "nurse", "sick", "help", "visit"),
    "a farm": ("cow", "field", "barn", "corn", "horse", "milk"),
    "a city": ("street", "people", "noise", "tower", "bus", "shop"),
    "sleep": ("dream", "bed", "rest", "night", "pillow", "tired"),
    "friendship": ("trust", "laugh", "share", "kind", "talk", "time"),
    "a letter": ("paper", "ink", "stamp", "write", "send", "words"),
    "the sun": ("light", "heat", "star", "day", "bright", "yellow"),
    "a river": ("bank", "bridge", "flow", "fish", "boat", "stone"),
    "breakfast": ("egg", "toast", "juice", "early", "plate", "eat"),
    "a kitchen": ("pan", "cook", "knife", "table", "stove", "clean"),
    "a holiday": ("trip", "rest", "hotel", "photo", "family", "sunny"),
    "a clock": ("hour", "hand", "tick", "late", "wall", "minute"),
    "a bridge": ("cross", "stone", "steel", "river", "span", "build"),
}  # fmt: skip

PROSE = (
    "Write one sentence about {}.", "Write two sentences about {}.", "Write three sentences about {}.",
    "Write a short paragraph about {}.", "Tell a very short story in which {} matters.",
    "Write a short note to a friend about {}.", "Write a small poem about {}.",
)  # fmt: skip
OPEN = (
    "Describe {} to someone who does not know it.", "Say what comes to mind when you think of {}.",
    "Explain to a child what is special about {}.", "Tell me about {}.",
)  # fmt: skip
# Questions that yes, no or maybe can answer, and tasks that ask for two responses.
CHOICES = (
    "Would a child like to hear about {}?",
    "Is {} something that most people know?",
    "Is there a poem about {}?",
)
BOTH = ("Give two different first lines for a text about {}.", "Suggest two different titles for a text about {}.")
OF_TYPE = {"detectable_format:constrained_response": CHOICES, "combination:two_responses": BOTH}  # nothing else fits
