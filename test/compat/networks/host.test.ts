// Containers on the host's network: what they listen on, what of the host they reach, and what inspect shows.

import { mainCases, scriptCases } from '../harness/cases';
import { python } from '../harness/python';

/** Answers datagrams, of each family at this port. */
const echo = `
import socket, threading
def serve(family, address):
    s = socket.socket(family, socket.SOCK_DGRAM)
    if family == socket.AF_INET6: s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind((address, 18164))
    while True:
        message, peer = s.recvfrom(2000)
        s.sendto(b'echo ' + message, peer)
threading.Thread(target=serve, args=(socket.AF_INET6, '::')).start()
serve(socket.AF_INET, '0.0.0.0')`;

/** Asks until it is answered. */
const ask = `
import socket, time
for family, address in ((socket.AF_INET, '127.0.0.1'), (socket.AF_INET6, '::1')):
    s = socket.socket(family, socket.SOCK_DGRAM)
    s.settimeout(0.3)
    s.connect((address, 18164))
    for _ in range(300):
        try:
            s.send(b'hello')
            print(s.recv(2000))
            break
        except OSError: time.sleep(0.3)`;

/** One request over TCP and one over UDP, to 127.0.0.1; and who it thinks it talks to. */
const local = `
import socket
t = socket.create_connection(('127.0.0.1', 18165))
print(t.getpeername(), t.recv(100))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.settimeout(30)
u.sendto(b'one', ('127.0.0.1', 18165))
print(u.recvfrom(100))
u.connect(('127.0.0.1', 18165))
u.send(b'two')
print(u.recv(100))
# what it listens on itself at once
s = socket.create_server(('127.0.0.1', 18166))
c = socket.create_connection(('127.0.0.1', 18166))
print(s.accept()[1] == c.getsockname())
try: socket.create_connection(('127.0.0.1', 18167))
except OSError as error: print(error)`;

/** The host's side of that. Ends with its input. */
const service = `
import socket, sys, threading
t = socket.create_server(('127.0.0.1', 18165))
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
u.bind(('127.0.0.1', 18165))
def tcp():
    while True:
        c = t.accept()[0]
        c.send(b'of the host')
        c.close()
def udp():
    while True:
        message, peer = u.recvfrom(100)
        u.sendto(b'of the host: ' + message, peer)
for f in (tcp, udp): threading.Thread(target=f, daemon=True).start()
print('ready', flush=True)
sys.stdin.read()`;

mainCases('networks: the host’s', ['what a container listens on, as long as it does']);
scriptCases('networks: the host’s', {
  'what a container listens on, as long as it does': `
    docker run -d --name $c --network host busybox sh -c 'echo hello >/index.html; httpd -p 18161; httpd -p 127.0.0.1:18162; sleep 300' >out
    wait_for on_host curl -s -m 2 127.0.0.1:18161
    on_host curl -s 127.0.0.1:18161
    on_host curl -s '[::1]:18161'
    wait_for on_host curl -s -m 2 127.0.0.1:18162; on_host curl -s 127.0.0.1:18162
    docker run --rm --network host busybox wget -qO- http://127.0.0.1:18161
    docker inspect -f '{{.HostConfig.NetworkMode}} {{json .NetworkSettings.Ports}} {{json .Config.ExposedPorts}}' $c
    docker port $c
    docker exec $c hostname | diff - <(hostname) && echo the same
    docker pause $c >out; timeout 2 bash -c 'nsenter --net=$HOST_NETWORK bash -c "echo >/dev/tcp/127.0.0.1/18161"' && echo connected; docker unpause $c >out
    on_host curl -s 127.0.0.1:18161
    docker rm -f $c; wait_for '! on_host curl -s -m 2 127.0.0.1:18161'; on_host curl -s 127.0.0.1:18161; on_host curl -s 127.0.0.1:18162`,
  'a server that closes its listener goes on with its client': `
    docker run -d --name $c --network host busybox sh -c 'nc -l -p 18163 -e sh -c "sleep 3; echo late"' >out
    wait_for 'on_host bash -c "exec 3<>/dev/tcp/127.0.0.1/18163; cat <&3 | grep late"' && echo told`,
  datagrams: `
    docker run -d --name $c --network host debian:12 ${python(echo)} >out
    on_host ${python(ask)}`,
  localhost: `
    mkfifo end; (on_host ${python(service)} <end >served &); exec 9>end; wait_for grep ready served
    docker run --rm --network host debian:12 ${python(local)}
    docker run --rm --network bridge busybox wget -qO- http://127.0.0.1:18165 2>&1 | grep -o refused
    exec 9>&-`,
});
