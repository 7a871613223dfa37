"""The judge of judge_server.py as a process of its own at a port: `python served_double.py PORT`, in place of vLLM's server."""

import sys
from http.server import ThreadingHTTPServer
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from judge_server import JudgeServer, handler_of

if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), handler_of(JudgeServer())).serve_forever()
