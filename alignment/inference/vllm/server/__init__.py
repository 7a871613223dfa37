"""vLLM in servers that all ranks of a stage share: started, watched and ended here, or running already."""
