// The first that a daemon loads: from here on it goes before others, until it answers.

import { hurry } from '../host/start-priority';

/** Ends that; nothing to end for other commands than `daemon`. */
export const calmDown = process.argv[2] === 'daemon' ? hurry() : () => undefined;
