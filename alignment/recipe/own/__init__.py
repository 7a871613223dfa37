"""What a recipe names and the user has: files, functions (`module:function`), code and evaluation tasks."""
