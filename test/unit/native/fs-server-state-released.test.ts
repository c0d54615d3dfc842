// The same for the build that is shipped, in its sandbox: its own root, no more capabilities and system calls than it needs.

process.env['CAISSON_FS_SERVER_BUILD'] = 'fs-server';
// eslint-disable-next-line @typescript-eslint/no-require-imports -- an import would come before the line above
require('./fs-server-state.test');
