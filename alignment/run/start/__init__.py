"""What a run starts from: a model by path or hub id, an adapter that is merged first."""
