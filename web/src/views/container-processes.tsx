// What runs in a container, as `docker top` has it.

import type { ContainerInspect, ContainerTopResponse } from '../../../src/docker/types';
import { docker, get, part } from '../client';
import { Empty, Failure, Loading, useLoad } from '../parts/ui';

const everyMs = 4_000;

export function ProcessesPart({ inspect }: { inspect: ContainerInspect }) {
  const { Id, State } = inspect;
  const { value, error, again } = useLoad<ContainerTopResponse | undefined>(
    (signal) =>
      State.Running ? get(docker(`/containers/${part(Id)}/top`), signal) : Promise.resolve(undefined),
    [Id, State.Running],
    everyMs,
  );
  if (!State.Running) {
    return (
      <Empty icon="play" title="Nothing runs">
        <p>The container is {State.Status}.</p>
      </Empty>
    );
  }
  if (value === undefined) return error === undefined ? <Loading /> : <Failure error={error} again={again} />;
  return (
    <div class="scroll" tabIndex={0} role="region" aria-label="Processes">
      <table>
        <thead>
          <tr>
            {value.Titles.map((title) => (
              <th key={title} scope="col">
                {title}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {value.Processes.map((fields, index) => (
            <tr key={index}>
              {fields.map((field, column) => (
                <td key={column} class={column === fields.length - 1 ? 'mono grow' : 'mono'}>
                  {field}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
