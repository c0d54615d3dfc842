// Questions instead of builds (`requestid`): what can be asked, what the Dockerfile takes, which targets and which faults it has.

import { emptyResult, type Result } from '../../contract/solver';
import type { Build } from '../conversion/build';
import { table, type Answer } from './answer';
import { lintAnswer } from './lint';
import { outlineAnswer } from './outline';
import { targetsAnswer } from './targets';

interface RequestKind {
  readonly name: string;
  readonly description: string;
  readonly answer: (build: Build) => Promise<Answer>;
}

const version = '1.0.0';

const kinds: readonly RequestKind[] = [
  {
    name: 'frontend.outline',
    description: 'List all parameters current build target supports',
    answer: outlineAnswer,
  },
  {
    name: 'frontend.targets',
    description: 'List all targets current build supports',
    answer: targetsAnswer,
  },
  { name: 'frontend.lint', description: 'Lint a Dockerfile', answer: lintAnswer },
];
const describe = {
  name: 'frontend.subrequests.describe',
  description: 'List available subrequest types',
};

/** Answered without a Dockerfile. */
export function describesRequests(id: string): boolean {
  return id === describe.name;
}

export function isKnownRequest(id: string): boolean {
  return id === describe.name || kinds.some(({ name }) => name === id);
}

/** `build` is undefined for what needs none. */
export async function answerRequest(id: string, build: Build | undefined): Promise<Result> {
  const kind = kinds.find(({ name }) => name === id);
  const answer = kind === undefined || build === undefined ? describeAnswer() : await kind.answer(build);
  return {
    ...emptyResult,
    metadata: new Map([
      ['result.json', Buffer.from(JSON.stringify(answer.json, undefined, '  '))],
      ['result.txt', Buffer.from(answer.text)],
      ['version', Buffer.from(version)],
      ...(answer.status === undefined
        ? []
        : [['result.statuscode', Buffer.from(String(answer.status))] as const]),
    ]),
  };
}

function describeAnswer(): Answer {
  const all = [...kinds, describe].map(({ name, description }) => ({ name, description }));
  const json = all.map(({ name, description }) => ({
    Name: name,
    Version: version,
    Type: 'rpc',
    Description: description,
    Opts: null,
    Inputs: null,
    Metadata: [{ Name: 'result.json' }, { Name: 'result.txt' }],
    Refs: null,
  }));
  const rows = [
    ['NAME', 'VERSION', 'DESCRIPTION'],
    ...all.map((one) => [one.name, version, one.description]),
  ];
  return { json, text: table(rows) };
}
