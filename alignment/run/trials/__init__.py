"""Small trainings that decide a setting: fractions of sources, and how many rows will do."""
