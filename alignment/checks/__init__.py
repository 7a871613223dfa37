"""The checks of a recipe that need neither torch nor a GPU; one file per subject, by room: model/ and rows/."""
