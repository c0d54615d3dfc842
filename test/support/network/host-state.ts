// What an engine must leave of its host's network as it was.

/** Runs a command where the host's network is; returns its stdout. */
type Run = (...command: string[]) => string;

/** Interfaces, routes, rules, the firewall and the sysctls, as text to compare. What the kernel itself counts is left out. */
export function networkState(run: Run): string {
  const sysctls = run(
    'sh',
    '-c',
    'grep -rs . /proc/sys/net | grep -v -e /netfilter/nf_conntrack_count -e fib_gc_stat | sort',
  );
  const commands = [
    ['ip', '-d', 'addr'],
    ['ip', 'rule'],
    ['ip', 'route', 'show', 'table', 'all'],
    ['ip', '-6', 'route', 'show', 'table', 'all'],
    ['nft', 'list', 'ruleset'],
    ['iptables-save'],
  ];
  return [...commands.map((command) => withoutLifetimes(run(...command))), sysctls].join('\n---\n');
}

function withoutLifetimes(text: string): string {
  return text
    .replace(/^# (Generated|Completed).*$/gm, '')
    .replace(/(valid_lft|preferred_lft|expires) \S+/g, '');
}
