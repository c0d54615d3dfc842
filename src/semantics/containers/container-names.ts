// Names of containers: Docker's grammar, and made-up ones.

import { randomBytes, randomInt } from 'node:crypto';
import { DaemonError } from '../../errors';

const namePattern = /^\/?[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;

/** Without the leading slash. Throws InvalidParameter, quoting `shown`, when it is no container name. */
export function parseContainerName(given: string, shown = given): string {
  if (!namePattern.test(given)) {
    throw new DaemonError(
      'InvalidParameter',
      `Invalid container name (${shown}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed`,
    );
  }
  return given.startsWith('/') ? given.slice(1) : given;
}

export function isContainerId(text: string): boolean {
  return /^[\da-f]{64}$/.test(text);
}

const adjectives = (
  'amber ample apt arctic ardent balmy bold brave breezy bright brisk bronze calm candid cheerful civil clear clever ' +
  'copper coral cosy crisp curious daring deft eager early earnest easy elegant fair faithful festive fleet fond ' +
  'frank fresh gallant gentle gilded glad golden graceful grand hardy honest humble ivory jolly jovial keen kind ' +
  'lively lucid lucky mellow merry mild modest neat nimble noble oaken patient placid plucky polite proud quick ' +
  'quiet radiant rapid ready robust rosy rustic serene sharp silver sincere sleek smart snug solid spry stable ' +
  'steady sterling stout sunny swift tidy tranquil trusty upbeat valiant velvet vivid warm wise witty zesty'
).split(' ');
const nouns = (
  'alcove anchor anvil arbor atlas badger barge basin beacon beaver birch bobbin brook cabin caisson canal canyon ' +
  'castle cedar chisel cliff cobble comet compass cove crane cypress dale delta derrick dock dolmen egret elm ember ' +
  'estuary falcon fathom fern ferry fjord fountain gable gantry garnet glacier granite grove gull harbor hawthorn ' +
  'hazel heron hinge island jetty juniper keel kestrel keystone lagoon lantern larch lathe ledge lever linden ' +
  'lighthouse lock maple marsh meadow mill moor mortar oak orchard osprey otter paddle pebble pier pillar pine ' +
  'plover pontoon poplar prairie pulley quarry quay rafter raven reef ridge river rudder sail sluice sparrow spruce ' +
  'tern thicket timber tunnel valley viaduct walnut weir wharf willow winch wren'
).split(' ');

/** A free name: `adjective_noun`, with a digit when luck does not help. */
export function randomContainerName(isFree: (name: string) => boolean): string {
  const pick = (words: readonly string[]): string => words[randomInt(words.length)] ?? '';
  for (let attempt = 0; attempt < 12; attempt++) {
    const base = `${pick(adjectives)}_${pick(nouns)}`;
    const name = attempt < 6 ? base : `${base}${String(randomInt(10))}`;
    if (isFree(name)) return name;
  }
  return `${pick(adjectives)}_${pick(nouns)}_${randomBytes(4).toString('hex')}`;
}

/** 64 hexadecimal digits; never all decimal in the short form, which would pass for a number as a hostname. */
export function newContainerId(): string {
  for (;;) {
    const id = randomBytes(32).toString('hex');
    if (!/^\d+$/.test(id.slice(0, 12))) return id;
  }
}
