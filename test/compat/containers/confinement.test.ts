// docker run: capabilities, limits, read-only and temporary file systems, system controls, devices.

import { mainCases, scriptCases } from '../harness/cases';

mainCases('confinement: capabilities', [
  'the default set',
  '--cap-drop ALL --cap-add',
  'no new privileges',
  'seccomp is on',
  'unshare is refused',
]);
scriptCases('confinement: capabilities', {
  'the default set': `docker run --rm busybox grep ^Cap /proc/self/status`,
  '--cap-drop ALL': `docker run --rm --cap-drop ALL busybox grep ^Cap /proc/self/status`,
  '--cap-drop ALL --cap-add': `docker run --rm --cap-drop ALL --cap-add CHOWN --cap-add net_bind_service busybox grep ^Cap /proc/self/status`,
  '--cap-add with its prefix, --cap-drop without': `docker run --rm --cap-add CAP_SYS_TIME --cap-drop mknod busybox grep ^Cap /proc/self/status`,
  'an unknown capability': `docker run --rm --cap-add NO_SUCH busybox true`,
  'chown needs its capability': `docker run --rm --cap-drop CHOWN busybox sh -c 'touch /f; chown 1 /f'`,
  'mknod is allowed by default': `docker run --rm busybox sh -c 'mknod /n c 1 3 && echo x >/n && stat -c "%F %t %T" /n'`,
  'mount is not': `docker run --rm busybox mount -t tmpfs none /mnt`,
  'no new privileges': `docker run --rm --security-opt no-new-privileges busybox grep NoNewPrivs /proc/self/status`,
  'privileges may be gained by default': `docker run --rm busybox grep NoNewPrivs /proc/self/status`,
  'seccomp is on': `docker run --rm busybox grep ^Seccomp: /proc/self/status`,
  '--security-opt seccomp=unconfined': `docker run --rm --security-opt seccomp=unconfined busybox grep ^Seccomp: /proc/self/status`,
  'unshare is refused': `docker run --rm busybox unshare -U true`,
  'an unknown security option': `docker run --rm --security-opt nonsense=1 busybox true`,
});

mainCases('confinement: limits', ['--memory ends in an OOM kill', '--cpus', '--pids-limit stops forks']);
scriptCases('confinement: limits', {
  '--ulimit': `docker run --rm --ulimit nofile=123:456 --ulimit core=0 busybox sh -c 'ulimit -Sn; ulimit -Hn; ulimit -c'`,
  'an unknown ulimit': `docker run --rm --ulimit nosuch=1 busybox true`,
  'a ulimit with soft above hard': `docker run --rm --ulimit nofile=9:3 busybox true`,
  '--memory ends in an OOM kill': {
    script: `
      docker run --name $c --memory 32m --memory-swap 32m busybox sh -c 'dd if=/dev/zero of=/dev/null bs=64M count=1'
      docker inspect -f '{{.State.OOMKilled}} {{.State.ExitCode}} {{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}' $c`,
  },
  '--memory below the minimum': `docker run --rm --memory 1m busybox true`,
  '--memory-swap below memory': `docker run --rm --memory 64m --memory-swap 32m busybox true`,
  '--memory that is not a number': `docker run --rm --memory lots busybox true`,
  '--cpus': `
    docker run -d --name $c --cpus 0.5 busybox sleep 1000
    docker inspect -f '{{.HostConfig.NanoCpus}} {{.HostConfig.CpuPeriod}} {{.HostConfig.CpuQuota}}' $c`,
  '--cpus beyond the machine': `docker run --rm --cpus 1000 busybox true`,
  '--cpus and --cpu-quota together': `docker run --rm --cpus 1 --cpu-quota 1000 busybox true`,
  '--pids-limit stops forks': `docker run --rm --pids-limit 6 busybox sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 1 & done; wait' 2>&1 | grep -c "can't fork"`,
  '--shm-size': `docker run --rm --shm-size 12m busybox sh -c 'df -k /dev/shm | tail -n 1 | tr -s " " | cut -d" " -f2'`,
  'shm is 64 MiB by default': `docker run --rm busybox sh -c 'df -k /dev/shm | tail -n 1 | tr -s " " | cut -d" " -f2'`,
  'a negative shm size': `docker run --rm --shm-size -1 busybox true`,
});

mainCases('confinement: file systems', [
  '--read-only',
  '--tmpfs options',
  'the root is writable and private',
  'masked paths',
  'read-only paths',
  'the mounts of every container',
  'files that the engine makes',
  '/dev',
  '--device gives it',
]);
scriptCases('confinement: file systems', {
  '--read-only': `docker run --rm --read-only busybox sh -c 'touch /f; touch /dev/shm/f && echo shm is writable'`,
  '--read-only with --tmpfs': `docker run --rm --read-only --tmpfs /work busybox sh -c 'touch /work/f && ls /work'`,
  '--tmpfs options': `docker run --rm --tmpfs /work:size=3m,mode=1750,uid=5 busybox sh -c 'stat -c "%a %u" /work; grep " /work " /proc/mounts'`,
  '--tmpfs with its defaults': `docker run --rm --tmpfs /work busybox sh -c 'stat -c "%a %u" /work; grep " /work " /proc/mounts'`,
  '--tmpfs with an unknown option': `docker run --rm --tmpfs /work:nonsense busybox true`,
  '--tmpfs on a relative path': `docker run --rm --tmpfs work busybox true`,
  '--mount type=tmpfs': `docker run --rm --mount type=tmpfs,destination=/work,tmpfs-size=2097152,tmpfs-mode=1700 busybox sh -c 'stat -c "%a" /work; df -k /work | tail -n 1 | tr -s " " | cut -d" " -f2'`,
  'the root is writable and private': `
    docker run --rm busybox sh -c 'echo x >/etc/made && cat /etc/made'
    docker run --rm busybox cat /etc/made`,
  'files of an image are copied up when written': `docker run --rm layers sh -c 'echo more >>/t/file; cat /t/file; chmod 600 /t/dir/kept; stat -c %a /t/dir/kept'`,
  'a file, a directory and a link can be removed': `docker run --rm layers sh -c 'rm -r /t/dir /t/file /t/swap && ls /t | grep -vE "^x+$"'`,
  'whiteouts and opaque directories': `docker run --rm layers sh -c 'cd /t; ls | sed "s/^x*$/x/"; ls opaque dir symlink; cat file swap hardlink fifo; stat -c "%n %a %u %g %Y %F" old dir/kept'`,
  'deep and odd names': `docker run --rm layers sh -c 'cat /t/x*/x*/x*; ls /t | grep code'`,
  'masked paths': `docker run --rm busybox sh -c 'cat /proc/keys /proc/timer_list | wc -c; ls /proc/acpi /sys/firmware | wc -l'`,
  'read-only paths': `docker run --rm busybox sh -c 'for p in /proc/sys /proc/irq /proc/bus /sys; do touch $p/x 2>/dev/null && echo $p; grep -q " $p .*ro[, ]" /proc/mounts && echo "$p ro"; done; true'`,
  'the mounts of every container': `docker run --rm busybox sh -c 'for m in /proc /dev /dev/pts /sys /dev/mqueue /dev/shm; do grep " $m " /proc/mounts | cut -d" " -f2,3; done'`,
  'files that the engine makes': `docker run --rm --hostname box busybox sh -c 'cat /etc/hostname; head -n 6 /etc/hosts; test -s /etc/resolv.conf && echo resolv'`,
  '--add-host': `docker run --rm --add-host one:1.2.3.4 --add-host six:::1 busybox sh -c 'grep -E "one|six" /etc/hosts'`,
  '--dns, --dns-search, --dns-option': `docker run --rm --dns 1.2.3.4 --dns-search example.org --dns-option ndots:3 busybox cat /etc/resolv.conf`,
  'a bad --dns': `docker run --rm --dns nonsense busybox true`,
  '/dev': `docker run --rm busybox sh -c 'cd /dev; for f in null zero full random urandom tty; do stat -c "%n %a %t %T" $f; done; for l in fd stdin stdout stderr ptmx core; do readlink $l; done; true'`,
  '--device gives it': `docker run --rm --device /dev/zero:/dev/other busybox sh -c 'stat -c "%F %t %T" /dev/other; head -c 2 /dev/other | od -An -tx1'`,
  '--device that does not exist': `docker run --rm --device /dev/no-such busybox true`,
  '--device of what is no device': `
    docker run --rm --device /etc busybox true
    docker run --rm --device /etc/passwd:/dev/x busybox true`,
});

mainCases('confinement: system controls and namespaces', [
  '--sysctl',
  '--ipc private and shareable',
  '--network none has only loopback',
]);
scriptCases('confinement: system controls and namespaces', {
  '--sysctl': `docker run --rm --sysctl net.ipv4.ip_forward=0 --sysctl kernel.msgmax=4242 busybox cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax`,
  'a sysctl outside the namespaces': `docker run --rm --sysctl kernel.panic=1 busybox true`,
  '--ipc private and shareable': `
    docker run --rm --ipc private busybox true
    docker run --rm --ipc shareable busybox true`,
  '--ipc none has no shm': `docker run --rm --ipc none busybox sh -c 'grep -c " /dev/shm " /proc/mounts'`,
  '--ipc with nonsense': `docker run --rm --ipc nonsense busybox true`,
  '--pid with nonsense': `docker run --rm --pid nonsense busybox true`,
  '--uts with nonsense': `docker run --rm --uts nonsense busybox true`,
  '--network none has only loopback': `docker run --rm --network none busybox sh -c 'ls /sys/class/net; ip addr show lo | grep -o "inet .*"; ping -c 1 -W 1 127.0.0.1 >/dev/null && echo pong'`,
  '--network that does not exist': `docker run --rm --name $c --network no-such-network busybox true`,
  '--stop-signal of nonsense': `docker run --rm --stop-signal NOSUCH busybox true`,
  '--runtime that does not exist': `docker run --rm --runtime nonsense busybox true`,
  '--platform that does not fit': `docker run --rm --platform linux/arm64 127.0.0.1:5000/busybox true`,
  '--log-driver that does not exist': `docker run --rm --log-driver nonsense busybox true`,
  '--restart with nonsense': `docker create --name $c --restart nonsense busybox true`,
  '--restart together with --rm': `docker run --rm --restart always busybox true`,
});
