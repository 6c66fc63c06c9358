"""Starting and asking an instance."""

from __future__ import annotations

import http.server
import json
import os
import signal
import socket
import subprocess
import threading
from pathlib import Path

import boto3
import pytest

from tests.local.conftest import COMMAND, LocalAws, free_port, local_aws_command, unique
from tests.local.instances import up


def test_up_tells_where_it_listens_and_answers_there_at_once(state_dir: Path) -> None:
    port = free_port()
    done = up(state_dir, "--port", str(port))
    assert done.returncode == 0, done.stderr
    assert f"http://127.0.0.1:{port}" in done.stdout
    sts = boto3.client(
        "sts",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    assert sts.get_caller_identity()["Account"] == "000000000000"


def test_up_where_an_instance_is_up_already_says_so_and_starts_nothing(
    local_aws: LocalAws, tmp_path: Path
) -> None:
    port = local_aws.endpoint.rsplit(":", 1)[-1]
    done = up(tmp_path / "other", "--port", port)
    assert done.returncode == 0
    assert "is up already" in done.stdout
    assert local_aws.endpoint in done.stdout
    assert not (tmp_path / "other").exists()


def test_a_port_of_another_program_is_named_with_what_to_do(state_dir: Path) -> None:
    class Refuses(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Refuses)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    try:
        done = up(state_dir, "--port", str(port))
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 1
    what = f"local-aws: Port {port} is in use by another program."
    assert done.stderr == f"{what} Choose another one: local-aws up --port {port + 1}\n"


def test_a_port_that_listens_and_says_nothing_is_in_use_too(state_dir: Path) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        done = up(state_dir, "--port", str(port))
    assert done.returncode == 1
    assert f"Port {port} is in use" in done.stderr


@pytest.mark.parametrize("port", ["0", "70000", "http"])
def test_what_is_not_a_port_is_refused_by_name(port: str, state_dir: Path) -> None:
    done = up(state_dir, "--port", port)
    assert done.returncode == 2
    assert f"{port!r} is not a port: give a number from 1 to 65535" in done.stderr


def test_a_state_folder_serves_one_instance(local_aws: LocalAws) -> None:
    done = up(local_aws.state_dir, "--port", str(free_port()))
    assert done.returncode == 1
    assert str(local_aws.state_dir) in done.stderr
    assert "--state-dir" in done.stderr


def test_status_and_its_json_tell_the_same_instance(local_aws: LocalAws) -> None:
    shown, data = local_aws.run("status"), local_aws.run("status", "--json")
    assert shown.returncode == data.returncode == 0
    status = json.loads(data.stdout)
    assert status["endpoint"] == local_aws.endpoint
    assert status["account"] == "000000000000"
    assert local_aws.endpoint in shown.stdout


def test_status_where_nothing_is_up_ends_with_a_code_of_its_own(tmp_path: Path) -> None:
    done = local_aws_command("status", "--state-dir", str(tmp_path))
    assert done.returncode == 3
    assert "No local AWS is up" in done.stdout


def test_env_points_a_shell_at_the_instance_and_at_no_other_aws(local_aws: LocalAws) -> None:
    lines = local_aws.run("env").stdout
    script = f'export AWS_PROFILE=production\n{lines}\necho "$AWS_ENDPOINT_URL ${{AWS_PROFILE-none}}"'
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{local_aws.endpoint} none\n"
    variables = json.loads(local_aws.run("env", "--json").stdout)
    assert (variables["AWS_ACCESS_KEY_ID"], variables["CDK_DEFAULT_ACCOUNT"]) == ("test", "000000000000")


def test_env_where_nothing_is_up_says_so(tmp_path: Path) -> None:
    done = local_aws_command("env", "--state-dir", str(tmp_path))
    assert (done.returncode, done.stdout) == (1, "")
    assert "no local AWS is up" in done.stderr


def test_logs_show_the_emulators_log(local_aws: LocalAws) -> None:
    done = local_aws.run("logs")
    assert done.returncode == 0
    assert "services available on port" in done.stdout


def test_following_the_log_shows_what_is_added_and_ends_quietly(tmp_path: Path) -> None:
    log = tmp_path / "emulator.log"
    log.write_text("first\n")
    following = subprocess.Popen(
        [str(COMMAND), "logs", "-f", "--state-dir", str(tmp_path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert following.stdout is not None
    assert following.stdout.readline() == "first\n"
    with log.open("a") as file:
        file.write("second\n")
    assert following.stdout.readline() == "second\n"
    following.send_signal(signal.SIGINT)
    _, error = following.communicate(timeout=300)
    assert (following.returncode, error) == (0, "")


def test_it_tells_its_version() -> None:
    done = local_aws_command("--version")
    assert done.stdout.startswith("local-aws ")


def test_the_state_folder_is_nobodys_source(local_aws: LocalAws) -> None:
    assert (local_aws.state_dir / ".gitignore").read_text() == "*\n"


def test_logs_where_there_are_none_say_so(tmp_path: Path) -> None:
    done = local_aws_command("logs", "--state-dir", str(tmp_path))
    assert done.returncode == 1
    assert "there is no log" in done.stderr


def test_nothing_of_the_callers_environment_reaches_functions(state_dir: Path) -> None:
    polluted = os.environ | {
        "AWS_PROFILE": "production",
        "AWS_ACCESS_KEY_ID": "AKIAREAL",
        "AWS_SESSION_TOKEN": "real",
        "PYTHONPATH": "/nowhere",
        "MY_SECRET": "secret",
    }
    done = up(state_dir, "--port", str(free_port()), "--json", env=polluted)
    assert done.returncode == 0, done.stderr
    instance = LocalAws(json.loads(done.stdout)["endpoint"], state_dir)
    name = instance.function(
        "import os\ndef handler(event, context): return dict(os.environ)", instance.role("lambda")
    )
    seen = json.loads(instance.client("lambda").invoke(FunctionName=name)["Payload"].read())
    assert not {"AWS_PROFILE", "PYTHONPATH", "MY_SECRET"} & seen.keys()
    assert seen["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert seen["AWS_SESSION_TOKEN"] != "real"


def test_the_emulator_listens_on_the_loopback_only(local_aws: LocalAws) -> None:
    port = int(local_aws.endpoint.rsplit(":", 1)[-1])
    listening = Path("/proc/net/tcp").read_text().splitlines()[1:]
    addresses = {line.split()[1] for line in listening if line.split()[3] == "0A"}
    assert {address for address in addresses if address.endswith(f":{port:04X}")} == {f"0100007F:{port:04X}"}


def test_instances_on_different_ports_know_nothing_of_each_other(
    local_aws: LocalAws, state_dir: Path
) -> None:
    port = free_port()
    assert up(state_dir, "--port", str(port)).returncode == 0
    other = LocalAws(f"http://127.0.0.1:{port}", state_dir)
    bucket = other.bucket()
    assert bucket not in [found["Name"] for found in local_aws.client("s3").list_buckets()["Buckets"]]
    shown = [json.loads(instance.run("status", "--json").stdout) for instance in (local_aws, other)]
    assert shown[0]["instance"] != shown[1]["instance"]
    other.run("down")
    assert local_aws.run("status").returncode == 0
    assert other.run("status").returncode == 3


def test_an_instance_of_other_code_is_told_with_how_to_renew_it(state_dir: Path) -> None:
    port = str(free_port())
    assert json.loads(up(state_dir, "--port", port, "--json").stdout)["outdated"] is False
    settings = state_dir / "instance.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"sources": "older"}))
    done = up(state_dir, "--port", port)
    assert done.returncode == 0
    assert "It was started by other code than this." in done.stdout
    assert f"local-aws down --state-dir {state_dir} && local-aws up --port {port}" in done.stdout
    assert json.loads(up(state_dir, "--port", port, "--json").stdout)["outdated"] is True


def test_the_doctor_answers_as_json() -> None:
    answer = json.loads(local_aws_command("doctor", "--json").stdout)
    assert answer["broken"] == []
    assert answer["hooks"] > 50


def test_doctor_finds_every_hook_of_the_pinned_emulator() -> None:
    done = local_aws_command("doctor")
    assert done.returncode == 0, done.stdout
    assert "hooks of ministack" in done.stdout


def test_an_unknown_fault_target_is_an_error(local_aws: LocalAws) -> None:
    name = unique("job")
    done = local_aws.run("faults", "interrupt", name)
    assert done.returncode == 1
    assert f"there is no training job '{name}'" in done.stderr
