"""Every constraint that the kind `instruction` knows, by its public name, with what following it demands.

The names and meanings are those of IFEval (arXiv 2311.07911). A new one is a function, in words.py, lengths.py or
shape.py, and a line here; its keyword-only parameters are its schema (parameters.py). The demand is decided by one
question, asked of the words of the request:

planning    Must the answer be held together to know, because what decides is a count or the arrangement of its own
            parts (words, letters, sentences, paragraphs, sections, list items, whole answers)?
precision   Or is the exact form of single places enough: how it begins or ends, a word, mark or notation that has to
            be there or must not be, the case or the language of each word, a syntax?

What asks for both is planning. A minimum of marks in a notation (`[placeholders]`, `*highlights*`) is precision: each
is a form of its own, and they are not parts that the answer consists of.
"""

from rewards.kinds.instruction.constraints import lengths, shape, words
from rewards.kinds.instruction.constraints.parameters import (
    DEMANDS,
    Constraint,
    Demand,
    given,
    listed,
    parameter_fault,
)

__all__ = ["CONSTRAINTS", "DEMANDS", "Constraint", "Demand", "given", "listed", "parameter_fault"]

CONSTRAINTS: dict[str, Constraint] = {
    "change_case:capital_word_frequency": Constraint(words.capital_word_frequency, "planning"),
    "change_case:english_capital": Constraint(words.english_capital, "precision"),
    "change_case:english_lowercase": Constraint(words.english_lowercase, "precision"),
    "combination:repeat_prompt": Constraint(shape.repeat_prompt, "precision"),
    "combination:two_responses": Constraint(shape.two_responses, "planning"),
    "detectable_content:number_placeholders": Constraint(shape.number_placeholders, "precision"),
    "detectable_content:postscript": Constraint(shape.postscript, "precision"),
    "detectable_format:constrained_response": Constraint(shape.constrained_response, "precision"),
    "detectable_format:json_format": Constraint(shape.json_format, "precision"),
    "detectable_format:multiple_sections": Constraint(shape.multiple_sections, "planning"),
    "detectable_format:number_bullet_lists": Constraint(shape.number_bullet_lists, "planning"),
    "detectable_format:number_highlighted_sections": Constraint(shape.number_highlighted_sections, "precision"),
    "detectable_format:title": Constraint(shape.title, "precision"),
    "keywords:existence": Constraint(words.existence, "precision"),
    "keywords:forbidden_words": Constraint(words.forbidden_words, "precision"),
    "keywords:frequency": Constraint(words.frequency, "planning"),
    "keywords:letter_frequency": Constraint(words.letter_frequency, "planning"),
    "language:response_language": Constraint(words.response_language, "precision"),
    "length_constraints:nth_paragraph_first_word": Constraint(lengths.nth_paragraph_first_word, "planning"),
    "length_constraints:number_paragraphs": Constraint(lengths.number_paragraphs, "planning"),
    "length_constraints:number_sentences": Constraint(lengths.number_sentences, "planning"),
    "length_constraints:number_words": Constraint(lengths.number_words, "planning"),
    "punctuation:no_comma": Constraint(words.no_comma, "precision"),
    "startend:end_checker": Constraint(shape.end_checker, "precision"),
    "startend:quotation": Constraint(shape.quotation, "precision"),
}
