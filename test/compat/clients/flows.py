"""What programs usually do through python3-docker, one flow for each argument. Prints what they saw as JSON."""

import json
import sys
import time

import docker
from docker.errors import APIError, ContainerError
from docker.types import Healthcheck, IPAMConfig, IPAMPool, LogConfig, Mount, Ulimit

client = docker.from_env(version="1.41", timeout=60)
name = sys.argv[2]


def caught(call):
    """The error a call ends with, as the SDK shows it."""
    try:
        return call()
    except ContainerError as error:
        return ["ContainerError", error.exit_status, error.stderr.decode()]
    except APIError as error:
        return [type(error).__name__, error.status_code, error.explanation]


def text(data):
    return data.decode() if isinstance(data, bytes) else data


def run():
    return {
        "output": text(client.containers.run("busybox", "echo hi", remove=True, name=name)),
        "both": sorted(text(client.containers.run("busybox", ["sh", "-c", "echo out; echo err >&2"], stderr=True, remove=True)).split()),
        "failed": caught(lambda: client.containers.run("busybox", ["sh", "-c", "echo bad >&2; exit 3"], remove=True)),
        "stream": [text(line) for line in client.containers.run("busybox", ["sh", "-c", "echo a; echo b"], stream=True, remove=True)],
        "no image": caught(lambda: client.containers.run("127.0.0.1:5000/no-such-image", "true"))[:2],
        "no program": caught(lambda: client.containers.run("busybox", "no-such-program", name=name)),
    }


def lifecycle():
    container = client.containers.create("busybox", "sleep 300", name=name, labels={"flow": name}, environment=["A=1"])
    seen = [container.status]
    container.start()
    container.reload()
    seen.append(container.status)
    for step in (container.pause, container.unpause, lambda: container.restart(timeout=0)):
        step()
        container.reload()
        seen.append(container.status)
    container.rename(name + "-2")
    container.update(mem_limit="64m", memswap_limit="64m")
    container.reload()
    limit = container.attrs["HostConfig"]["Memory"]
    listed = [found.name for found in client.containers.list(filters={"label": "flow=" + name})]
    titles = container.top()["Titles"]
    container.stop(timeout=0)
    ended = container.wait()
    container.reload()
    seen.append(container.status)
    stopped = client.containers.list(all=True, filters={"label": "flow=" + name, "status": "exited"})
    container.start()
    container.kill("SIGKILL")
    killed = container.wait()
    container.remove(force=True, v=True)
    gone = caught(container.reload)
    return {"seen": seen, "limit": limit, "listed": listed, "titles": titles, "ended": ended,
            "stopped": len(stopped), "killed": killed, "gone": gone[0]}


def execs():
    container = client.containers.run("busybox", "sleep 300", name=name, detach=True)
    plain = container.exec_run(["sh", "-c", "echo out; echo err >&2; exit 3"])
    parted = container.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
    placed = container.exec_run("sh -c 'id -u; pwd; echo $V'", user="1000", workdir="/tmp", environment={"V": "w"})
    streamed = container.exec_run(["sh", "-c", "echo a; echo b"], stream=True)
    _, stream = container.exec_run("cat", stdin=True, socket=True)
    stream._sock.sendall(b"through the socket\n")
    echoed = stream.read(8 + len("through the socket\n"))
    stream.close()
    missing = container.exec_run("no-such-program")
    # framed as the start asks, whatever terminal the exec has
    terminal = client.api.exec_start(client.api.exec_create(container.id, ["sh", "-c", "echo t; test -t 1 && echo tty"], tty=True))
    raw = client.api.exec_start(client.api.exec_create(container.id, "echo r", tty=True), tty=True)
    container.remove(force=True)
    return {"plain": [plain.exit_code, sorted(text(plain.output).split())], "parted": [text(part) for part in parted.output],
            "placed": text(placed.output), "streamed": "".join(text(part) for part in streamed.output),
            "terminal": text(terminal), "raw": text(raw), "echoed": text(echoed[8:]), "missing": [missing.exit_code, text(missing.output)]}


def logs():
    container = client.containers.run("busybox", ["sh", "-c", "for i in 1 2 3; do echo $i; done; echo e >&2"], name=name, detach=True)
    container.wait()
    seen = {"all": sorted(text(container.logs()).split()), "tail": len(container.logs(tail=2).splitlines()),
            "out": text(container.logs(stderr=False)), "follow": sorted(text(line) for line in container.logs(stream=True, follow=True)),
            "stamped": len(container.logs(timestamps=True, stderr=False).split()), "since": text(container.logs(since=4000000000))}
    container.remove()
    return seen


def attach():
    container = client.containers.create("busybox", "cat", name=name, stdin_open=True, tty=False)
    stream = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    stream._sock.sendall(b"typed\n")
    seen = text(stream.read(8 + 6)[8:])
    stream.close()
    container.remove(force=True)
    return {"seen": seen}


def stats():
    container = client.containers.run("busybox", "sleep 300", name=name, detach=True, mem_limit="32m")
    once = container.stats(stream=False)
    first = next(container.stats(stream=True, decode=True))
    container.remove(force=True)
    return {"keys": sorted(once), "memory": sorted(key for key in once["memory_stats"] if key != "stats"),
            "limit": once["memory_stats"]["limit"], "networks": sorted(once["networks"]), "same": sorted(first) == sorted(once),
            "cpu": sorted(once["cpu_stats"])}


def networks():
    pool = IPAMConfig(pool_configs=[IPAMPool(subnet="10.123.%d.0/24" % (sum(map(ord, name)) % 250), gateway=None)])
    network = client.networks.create(name, driver="bridge", ipam=pool, labels={"flow": name}, check_duplicate=True)
    first = client.containers.run("busybox", "sleep 300", name=name + "-1", detach=True)
    network.connect(first, aliases=["one"])
    answer = client.containers.run("busybox", "ping -c 1 -W 5 one", network=name, remove=True, name=name + "-2")
    network.reload()
    members = [member.name for member in network.containers]
    used = caught(network.remove)
    network.disconnect(first, force=True)
    first.remove(force=True)
    network.remove()
    return {"answered": "1 packets received" in text(answer), "members": members, "used": used[:2],
            "left": [found.name for found in client.networks.list(names=[name])], "gone": caught(network.reload)[0]}


def volumes():
    volume = client.volumes.create(name, labels={"flow": name})
    client.containers.run("busybox", ["sh", "-c", "echo kept > /data/file"], mounts=[Mount("/data", name)], remove=True)
    kept = client.containers.run("busybox", "cat /data/file", volumes={name: {"bind": "/data", "mode": "ro"}}, remove=True)
    refused = caught(lambda: client.containers.run("busybox", "touch /data/x", volumes={name: {"bind": "/data", "mode": "ro"}}, remove=True))
    listed = [found.name for found in client.volumes.list(filters={"label": "flow=" + name})]
    attrs = {key: volume.attrs[key] for key in ("Driver", "Scope", "Labels", "Options")}
    volume.remove()
    return {"kept": text(kept), "refused": refused, "listed": listed, "attrs": attrs, "gone": caught(lambda: client.volumes.get(name))[0]}


def images():
    image = client.images.get("busybox")
    tagged = image.tag(name, tag="one")
    image.reload()
    tags = [tag for tag in image.tags if name in tag]
    history = [sorted(step) for step in image.history()][:1]
    client.images.remove(name + ":one")
    pulled = client.images.pull("127.0.0.1:5000/busybox", tag="latest")
    lines = sorted({line.get("id", "") for line in client.api.pull("127.0.0.1:5000/busybox", tag="latest", stream=True, decode=True)})
    return {"tagged": tagged, "tags": tags, "history": history, "pulled": pulled.id == image.id, "lines": lines,
            "absent": caught(lambda: client.images.get("no-such-image"))[:2],
            "registry": caught(lambda: client.images.pull("127.0.0.1:5000/no-such-image", tag="x"))[:2]}


def events():
    begin = int(time.time())
    client.containers.run("busybox", "true", name=name, remove=True, labels={"flow": name})
    told = client.events(since=begin, filters={"label": "flow=" + name}, decode=True)
    seen = []
    for event in told:
        seen.append([event["Type"], event["Action"], sorted(event)])
        if event["Action"] == "destroy":
            told.close()
            break
    return seen


def options():
    host = client.api.create_host_config(
        mem_limit="64m", nano_cpus=500000000, pids_limit=50, cap_drop=["ALL"], cap_add=["CHOWN"], read_only=True,
        ulimits=[Ulimit(name="nofile", soft=100, hard=200)], tmpfs={"/run": "size=1m"}, init=True, shm_size="8m",
        restart_policy={"Name": "on-failure", "MaximumRetryCount": 2}, log_config=LogConfig(type="json-file", config={"max-size": "1m"}),
        extra_hosts={"there": "10.0.0.1"}, dns=["9.9.9.9"], security_opt=["no-new-privileges"], sysctls={"net.core.somaxconn": "100"})
    made = client.api.create_container(
        "busybox", ["sh", "-c", "ulimit -n; cat /proc/sys/net/core/somaxconn; grep there /etc/hosts; touch /x 2>&1; true"], name=name, host_config=host,
        healthcheck=Healthcheck(test=["CMD", "true"], interval=1000000000), hostname="h", domainname="d", stop_signal="SIGINT", labels=["l"])
    client.api.start(made)
    code = client.api.wait(made)
    seen = client.api.inspect_container(made)
    output = text(client.api.logs(made))
    client.api.remove_container(made, force=True)
    picked = {key: seen["HostConfig"][key] for key in ("Memory", "NanoCpus", "PidsLimit", "CapAdd", "CapDrop", "Ulimits", "Tmpfs", "Init",
              "ShmSize", "RestartPolicy", "LogConfig", "ExtraHosts", "Dns", "SecurityOpt", "Sysctls", "ReadonlyRootfs")}
    return {"code": code, "host": picked, "output": output, "health": seen["Config"]["Healthcheck"], "warnings": made["Warnings"]}


def errors():
    client.containers.create("busybox", "true", name=name)
    return {"conflict": caught(lambda: client.containers.create("busybox", "true", name=name))[:2],
            "absent": caught(lambda: client.containers.get("no-such-container")),
            "bad": caught(lambda: client.api.create_container("busybox", "true", host_config={"Memory": 1})),
            "network": caught(lambda: client.containers.run("busybox", "true", network="no-such-network", name=name + "-n"))[:2],
            "stopped": caught(lambda: client.containers.get(name).exec_run("true"))[:2]}


def system():
    info, version = client.info(), client.version()
    return {"ping": client.ping(), "os": info["OSType"], "driver": sorted(set(info) & {"Driver", "NCPU", "MemTotal", "Name", "ID"}),
            "version": version["ApiVersion"] >= "1.41", "df": sorted(client.df()), "swarm": caught(lambda: client.swarm.reload())[:2]}


print(json.dumps(globals()[sys.argv[1]](), sort_keys=True))
