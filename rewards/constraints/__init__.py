"""Every constraint that the kind `instruction` knows, by its public name.

The names and meanings are those of IFEval (arXiv 2311.07911). A new one is a function, in words.py, lengths.py or
shape.py, and a line here; its keyword-only parameters are its schema (parameters.py).
"""

from rewards.constraints import lengths, shape, words
from rewards.constraints.parameters import Constraint, given, parameter_problem

__all__ = ["CONSTRAINTS", "Constraint", "given", "parameter_problem"]

CONSTRAINTS: dict[str, Constraint] = {
    "change_case:capital_word_frequency": words.capital_word_frequency,
    "change_case:english_capital": words.english_capital,
    "change_case:english_lowercase": words.english_lowercase,
    "combination:repeat_prompt": shape.repeat_prompt,
    "combination:two_responses": shape.two_responses,
    "detectable_content:number_placeholders": shape.number_placeholders,
    "detectable_content:postscript": shape.postscript,
    "detectable_format:constrained_response": shape.constrained_response,
    "detectable_format:json_format": shape.json_format,
    "detectable_format:multiple_sections": shape.multiple_sections,
    "detectable_format:number_bullet_lists": shape.number_bullet_lists,
    "detectable_format:number_highlighted_sections": shape.number_highlighted_sections,
    "detectable_format:title": shape.title,
    "keywords:existence": words.existence,
    "keywords:forbidden_words": words.forbidden_words,
    "keywords:frequency": words.frequency,
    "keywords:letter_frequency": words.letter_frequency,
    "language:response_language": words.response_language,
    "length_constraints:nth_paragraph_first_word": lengths.nth_paragraph_first_word,
    "length_constraints:number_paragraphs": lengths.number_paragraphs,
    "length_constraints:number_sentences": lengths.number_sentences,
    "length_constraints:number_words": lengths.number_words,
    "punctuation:no_comma": words.no_comma,
    "startend:end_checker": shape.end_checker,
    "startend:quotation": shape.quotation,
}
