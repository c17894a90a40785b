"""Remotes over ssh and http, as people reach them: an agent, a credential helper, a proxy."""

import base64
import http.server
import os
import subprocess
import threading
import urllib.parse

import harness

PASSWORD = "a-token-of-the-tests"
AUTHORIZATION = "Basic " + base64.b64encode(f"ada:{PASSWORD}".encode()).decode()


class GitOverHttp(http.server.BaseHTTPRequestHandler):
    """A proxy that knows one host, with git's own backend behind it; it asks for the password."""

    root = None
    asked = []  # the hosts

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.answer(b"")

    def do_POST(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.answer(body)

    def answer(self, body):
        url = urllib.parse.urlsplit(self.path)
        self.asked.append(url.netloc)
        if self.headers.get("Authorization") != AUTHORIZATION:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        environment = {**os.environ, "GIT_PROJECT_ROOT": self.root, "GIT_HTTP_EXPORT_ALL": "1", "REMOTE_USER": "ada",
                       "PATH_INFO": url.path, "QUERY_STRING": url.query, "REQUEST_METHOD": self.command,
                       "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
                       "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
                       "GIT_PROTOCOL": self.headers.get("Git-Protocol", "")}
        done = subprocess.run(["git", "http-backend"], input=body, env=environment, capture_output=True, timeout=60)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Transport(harness.Case):
    def script(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as out:
            out.write("#!/bin/sh\n" + text)
        os.chmod(self.path(name), 0o755)
        return self.path(name)

    def cycle(self, url, remote):
        """Restore, export with a push, import of what somebody pushed, restore again."""
        self.ask("restore", url)
        self.bennu("kv", "put", "/mine", "1")
        self.assertTrue(self.ask("export")["pushed"])
        self.assertEqual(self.git("show", "main:mine", cwd=remote), "1")
        self.push_files({"theirs": "2"}, remote)
        self.assertEqual(self.ask("import")["puts"], 1)
        self.assertEqual(self.ask("restore", url, data="again")["tree"], self.tree(remote))

    def test_ssh_runs_as_the_user_has_set_it_up(self):
        remote = self.seeded_remote({"a": "1"})
        # Says which agent it would ask, and is the other machine itself.
        self.env["GIT_SSH_COMMAND"] = self.script(
            "ssh", f'echo "$SSH_AUTH_SOCK" >> "{self.path("agents")}"\nfor last in "$@"; do :; done\nexec sh -c "$last"\n')
        self.env["GIT_SSH_VARIANT"] = "simple"
        self.env["SSH_AUTH_SOCK"] = self.path("agent.sock")
        self.cycle(f"ssh://git.example.org{remote}", remote)
        with open(self.path("agents"), encoding="utf-8") as agents:
            self.assertEqual({line.strip() for line in agents}, {self.path("agent.sock")})

    def test_http_asks_the_credential_helper_and_goes_through_the_proxy(self):
        remote = self.seeded_remote({"a": "1"})
        self.git("config", "http.receivepack", "true", cwd=remote)
        handler = type("Handler", (GitOverHttp,), {"root": self.dir, "asked": []})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        for name in ("no_proxy", "NO_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            self.env.pop(name, None)
        self.env["http_proxy"] = f"http://127.0.0.1:{server.server_port}"
        self.env["GIT_TERMINAL_PROMPT"] = "0"
        url = "http://git.example.invalid/remote.git"
        self.assert_one_line(self.bennu("restore", url, expect=1), f"cannot fetch from `{url}`")
        helper = self.script("helper", f'[ "$1" = get ] && printf "username=ada\\npassword={PASSWORD}\\n"\nexit 0\n')
        self.git("config", "--global", "credential.helper", helper)
        self.cycle(url, remote)
        self.assertEqual(set(handler.asked), {"git.example.invalid"})
        for folder, _, names in os.walk(self.path("data")):
            for name in names:
                with open(os.path.join(folder, name), "rb") as file:
                    self.assertNotIn(PASSWORD.encode(), file.read(), name)


if __name__ == "__main__":
    harness.main()
