"""Training stages. TRL lives in this room only."""
