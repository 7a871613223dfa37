"""The declarations of the built-in stage kinds, one file each, without torch; training/stages/ runs them."""
