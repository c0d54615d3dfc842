// ContainerUpdate: every member, on containers that run and that don't. ContainerExec: every member.

import { httpCases, scriptCases } from '../harness/cases';

interface Step {
  request: string;
  body: object;
}
const create = (hostConfig: object = {}): Step => ({
  request: 'POST /containers/create?name=$c',
  body: { Image: 'busybox', Cmd: ['sleep', '60'], HostConfig: hostConfig },
});
const update = (body: object): Step => ({ request: 'POST /containers/$c/update', body });
const mebibyte = 2 ** 20;

/** What inspect shows of limits, without what depends on the host's cgroup version. */
const shown =
  "docker inspect -f '{{with .HostConfig}}{{.CpuShares}} {{.Memory}} {{.MemorySwap}} {{.MemoryReservation}} {{.NanoCpus}} {{.CpuPeriod}} {{.CpuQuota}} {{.CpusetCpus}} {{.CpusetMems}} {{json .PidsLimit}} {{json .RestartPolicy}}{{end}}' $c";

httpCases('fields of an update', {
  Memory: [create({ Memory: 64 * mebibyte }), update({ Memory: 96 * mebibyte })],
  'Memory: above the swap limit': [create({ Memory: 64 * mebibyte }), update({ Memory: 256 * mebibyte })],
  'Memory: without a limit before': [create(), update({ Memory: 64 * mebibyte })],
  'Memory: below the minimum': [create(), update({ Memory: mebibyte })],
  MemorySwap: [create({ Memory: 64 * mebibyte }), update({ MemorySwap: 256 * mebibyte })],
  'MemorySwap: less than memory': [create(), update({ Memory: 64 * mebibyte, MemorySwap: 32 * mebibyte })],
  'MemoryReservation: below the minimum': [create(), update({ MemoryReservation: mebibyte })],
  NanoCpus: [create(), update({ NanoCpus: 5e8 })],
  'NanoCpus: too many': [create(), update({ NanoCpus: 1e12 })],
  'NanoCpus: where a quota is set': [create({ CpuQuota: 50_000 }), update({ NanoCpus: 5e8 })],
  'CpuQuota: where CPUs are set': [create({ NanoCpus: 5e8 }), update({ CpuQuota: 50_000 })],
  'CpuPeriod: where CPUs are set': [create({ NanoCpus: 5e8 }), update({ CpuPeriod: 50_000 })],
  'CpuPeriod: too short': [create(), update({ CpuPeriod: 10 })],
  'CpuQuota: too small': [create(), update({ CpuQuota: 10 })],
  'CpusetCpus: beyond the machine': [create(), update({ CpusetCpus: '99' })],
  'CpusetMems: beyond the machine': [create(), update({ CpusetMems: '9' })],
  'RestartPolicy: unknown': [create(), update({ RestartPolicy: { Name: 'nonsense' } })],
  'RestartPolicy: retries where there are none': [
    create(),
    update({ RestartPolicy: { Name: 'always', MaximumRetryCount: 3 } }),
  ],
  'RestartPolicy: with auto-remove': [
    create({ AutoRemove: true }),
    update({ RestartPolicy: { Name: 'always' } }),
  ],
  nothing: [create(), update({})],
  'fields that nobody knows': [create(), update({ NoSuchField: 1 })],
  'a wrong type': [create(), update({ Memory: 'lots' })],
  'no container': { request: 'POST /containers/no-such/update', body: {} },
  'no body': [
    create(),
    { request: 'POST /containers/$c/update', headers: { 'Content-Type': 'application/json' } },
  ],
  'no JSON': [
    create(),
    { request: 'POST /containers/$c/update', body: '{', headers: { 'Content-Type': 'application/json' } },
  ],
});

scriptCases('fields of an update', {
  'all of them, one after the other': `
    docker create --name $c busybox true
    docker update --memory 64m --memory-swap 128m --memory-reservation 32m $c
    ${shown}
    docker update --cpu-shares 300 --cpu-period 50000 --cpu-quota 20000 $c
    docker update --cpuset-cpus 1 --cpuset-mems 0 --pids-limit 50 --restart on-failure:2 $c
    ${shown}
    docker update --pids-limit -1 --restart no --memory-swap -1 $c
    ${shown}`,
  'while it runs': {
    // One read that is too large. A program that grows bit by bit may go on for minutes where its own code has no room any more and is read
    // again from the disk for each bit.
    script: `
      docker run -d --name $c --memory 64m busybox sleep 1000
      docker update --memory 128m --memory-swap 128m --memory-reservation 48m --cpus 0.5 --cpu-shares 512 --cpuset-cpus 1 --pids-limit 40 $c
      docker exec $c sh -c 'cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes'
      docker exec $c sh -c 'cat /sys/fs/cgroup/memory.low 2>/dev/null || cat /sys/fs/cgroup/memory/memory.soft_limit_in_bytes'
      docker exec $c sh -c 'cat /sys/fs/cgroup/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids/pids.max'
      docker exec $c sh -c 'cat /sys/fs/cgroup/cpu.max 2>/dev/null || echo $(cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us)'
      docker exec $c grep Cpus_allowed_list /proc/self/status
      docker update --memory 16m --memory-swap 16m --pids-limit -1 --cpuset-cpus 0,1 $c
      docker exec $c sh -c 'cat /sys/fs/cgroup/memory.max 2>/dev/null || cat /sys/fs/cgroup/memory/memory.limit_in_bytes'
      docker exec $c sh -c 'cat /sys/fs/cgroup/pids.max 2>/dev/null || cat /sys/fs/cgroup/pids/pids.max'
      docker exec $c grep Cpus_allowed_list /proc/self/status
      docker exec $c sh -c 'dd if=/dev/zero of=/dev/null bs=30M count=1; echo $?'
      ${shown}`,
  },
});

scriptCases('fields of an exec', {
  'all that a client has': {
    script: `
      docker run -d --name $c -e A=1 -w /tmp --ulimit nofile=99:99 --cap-drop MKNOD busybox sleep 1000
      docker exec $c sh -c 'id; pwd; echo $A; ulimit -n; grep ^Cap /proc/self/status'
      docker exec -u 12:34 -w /etc -e A=2 -e B=3 $c sh -c 'id -u; id -g; pwd; echo $A $B'
      docker exec -t $c sh -c 'tty; echo $TERM'
      echo in | docker exec -i $c cat
      docker exec -d $c sh -c 'echo x >/done'
      docker exec -u nosuch $c true
      docker exec -w /nosuch $c true
      docker exec -w relative $c pwd
      docker exec -e =x $c true
      docker exec $c /nosuch
      docker exec $c sh -c 'exit 7'
      docker exec --env-file /dev/null $c env -u HOSTNAME true`,
  },
});

const exec = (body: object): Step => ({ request: 'POST /containers/$c/exec', body });
httpCases('fields of an exec', {
  'what is refused': [
    create(),
    exec({ Cmd: ['true'] }),
    'POST /containers/$c/start',
    exec({ Cmd: [] }),
    exec({ Cmd: 'true' }),
    exec({ Cmd: ['true'], DetachKeys: 'nonsense' }),
    exec({ Cmd: ['true'], Env: ['NOVALUE'] }),
    exec({ Cmd: ['true'], User: 5 }),
    exec({ Cmd: ['true'], NoSuchField: 5 }),
    'POST /exec/no-such/start',
    'POST /exec/no-such/resize?h=1&w=1',
    'GET /exec/no-such/json',
  ],
});
