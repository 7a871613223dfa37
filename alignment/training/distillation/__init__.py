"""On-policy distillation: a student learns a teacher's next-token distribution on what it samples itself."""
