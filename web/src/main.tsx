// The page begins: a session, then the shell.

import { render } from 'preact';
import { App } from './app';
import { login } from './client';
import { connection, stayConnected } from './store';

const root = document.getElementById('app');
if (root !== null) render(<App />, root);

login().then(
  (isIn) => {
    if (isIn) void stayConnected();
    else connection.value = 'out';
  },
  () => (connection.value = 'out'),
);
