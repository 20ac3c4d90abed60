"""The one error of the recipe: something is missing or a step failed, and what to do about it."""


class RecipeError(Exception):
    """Shown to the user as it is, without a traceback."""
