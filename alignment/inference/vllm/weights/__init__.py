"""How weights reach vLLM: reloaded in this process, or sent to servers; whole, or an adapter alone."""
