// `--call targets`: the stages that can be built.

import { programOf, type Build } from '../conversion/build';
import { locationOf, table, type Answer } from './answer';

export function targetsAnswer(build: Build): Promise<Answer> {
  const { dockerfile, info, native, options } = build;
  const [platform = native] = options.platforms ?? [];
  const { heads } = programOf(build, platform);
  const last = dockerfile.stages.length - 1;
  const targets = heads.map(({ stage, base }) => ({
    name: stage.name,
    description: stage.description,
    default: stage.index === last,
    base: base.kind === 'external' ? base.name : base.kind === 'scratch' ? 'scratch' : stage.base,
    platform: stage.platform,
    location: locationOf(stage.statement.lines),
  }));
  const json = {
    targets: targets.map(({ name, description, default: isDefault, base, platform: of, location }) => ({
      ...(name === '' ? {} : { name }),
      ...(isDefault ? { default: true } : {}),
      ...(description === '' ? {} : { description }),
      base,
      ...(of === '' ? {} : { platform: of }),
      location,
    })),
    sources: [info.data.toString('base64')],
  };
  const rows = targets
    .filter(({ name, default: isDefault }) => name !== '' || isDefault)
    .map(({ name, default: isDefault, description }) => [
      `${name === '' ? '(default)' : name}${isDefault && name !== '' ? ' (default)' : ''}`,
      description,
    ]);
  return Promise.resolve({ json, text: table([['TARGET', 'DESCRIPTION'], ...rows]) });
}
