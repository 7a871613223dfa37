"""What a recipe needs of a machine before anything starts: memory of each device and time, from the model's config."""
