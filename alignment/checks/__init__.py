"""Everything that cannot work, found before anything heavy is imported; one file per subject."""
