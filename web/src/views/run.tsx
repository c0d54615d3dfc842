// A container by form; the equal `docker run` is always shown.

import { useState } from 'preact/hooks';
import { ApiError, docker, query, request, send } from '../client';
import { pullNames } from '../logic/image-names';
import { createBody, emptyForm, runLine, type RunForm } from '../logic/run-line';
import { Bars, follow, nothingTold, type Told } from '../parts/progress-bars';
import { Button, CopyButton, Head, Icon } from '../parts/ui';
import { attempt, go, images, link, networks, refresh, volumes } from '../store';

type ListField = 'ports' | 'volumes' | 'environment';

export function RunView({ image }: { image: string }) {
  const [form, setForm] = useState<RunForm>({ ...emptyForm, image });
  const [step, setStep] = useState('');
  const [told, setTold] = useState(nothingTold);
  const set = (more: Partial<RunForm>): void => setForm({ ...form, ...more });
  const line = runLine(form);
  const run = async (): Promise<void> => {
    const went = await attempt(async () => {
      const body = createBody(form);
      setStep('Making the container');
      const made = await create(form, body, (now) => {
        setStep('Pulling the image');
        setTold(now);
      });
      setStep('Starting it');
      await send('POST', docker(`/containers/${made}/start`));
      refresh('containers', 'images', 'pods', 'volumes');
      go('containers', made);
    });
    setStep('');
    setTold(nothingTold);
    if (!went) refresh('containers', 'images');
  };
  const names = (images.value ?? []).flatMap(({ RepoTags }) => RepoTags ?? []);
  return (
    <section class="view narrow">
      <Head title="Run a container" sub="In a virtual machine of its own" back={link('containers')} />
      <form
        class="run-form"
        onSubmit={(event) => {
          event.preventDefault();
          void run();
        }}
      >
        <div class="card form-grid">
          <Field label="Image" hint="Pulled first, if it is not here" class="wide">
            <input
              list="image-names"
              required
              value={form.image}
              spellcheck={false}
              placeholder="debian:12"
              onInput={({ currentTarget }) => set({ image: currentTarget.value })}
            />
            <datalist id="image-names">
              {names.map((name) => (
                <option key={name} value={name} />
              ))}
            </datalist>
          </Field>
          <Field label="Name" hint="Empty: one is made up">
            <input
              value={form.name}
              spellcheck={false}
              pattern="[a-zA-Z0-9][a-zA-Z0-9_.\-]*"
              onInput={({ currentTarget }) => set({ name: currentTarget.value })}
            />
          </Field>
          <Field label="Network" class="rest">
            <select
              value={form.network}
              onChange={({ currentTarget }) => set({ network: currentTarget.value })}
            >
              <option value="">bridge (default)</option>
              {(networks.value ?? [])
                .filter(({ Name }) => Name !== 'bridge')
                .map(({ Name }) => (
                  <option key={Name}>{Name}</option>
                ))}
            </select>
          </Field>
          <Field label="Command" hint="Empty: the image’s own" class="wide">
            <input
              class="mono"
              value={form.command}
              spellcheck={false}
              onInput={({ currentTarget }) => set({ command: currentTarget.value })}
            />
          </Field>
        </div>
        <div class="card form-grid">
          <Lines
            form={form}
            field="ports"
            label="Ports"
            placeholder="8080:80"
            add="Publish a port"
            set={set}
          />
          <Lines
            form={form}
            field="volumes"
            label="Volumes"
            placeholder="data:/data"
            add="Mount a volume"
            set={set}
            options={(volumes.value ?? []).map(({ Name }) => `${Name}:/`)}
          />
          <Lines
            form={form}
            field="environment"
            label="Environment"
            placeholder="NAME=value"
            add="Set a variable"
            set={set}
          />
        </div>
        <div class="card form-grid">
          <Field label="Memory" hint="Like 512m or 2g; empty: no limit">
            <input
              value={form.memory}
              onInput={({ currentTarget }) => set({ memory: currentTarget.value })}
            />
          </Field>
          <Field label="CPUs" hint="Like 1.5; empty: all">
            <input
              inputMode="decimal"
              value={form.cpus}
              onInput={({ currentTarget }) => set({ cpus: currentTarget.value })}
            />
          </Field>
          <Field label="When it ends">
            <select
              value={form.restart}
              onChange={({ currentTarget }) => set({ restart: currentTarget.value })}
            >
              <option value="no">stays ended</option>
              <option value="on-failure">starts again after a failure</option>
              <option value="unless-stopped">starts again unless it was stopped</option>
              <option value="always">always starts again</option>
            </select>
          </Field>
          <div class="field">
            <label class="check">
              <input
                type="checkbox"
                checked={form.interactive}
                onChange={({ currentTarget }) => set({ interactive: currentTarget.checked })}
              />
              <span>With a terminal to attach to</span>
            </label>
            <label class="check">
              <input
                type="checkbox"
                checked={form.remove}
                onChange={({ currentTarget }) => set({ remove: currentTarget.checked })}
              />
              <span>Removed when it ends</span>
            </label>
          </div>
        </div>
        <div class="run-line">
          <code>{line}</code>
          <CopyButton text={line} />
        </div>
        <Bars told={told} />
        <footer class="form-foot">
          {step !== '' && (
            <span class="muted" role="status">
              <span class="spinner" aria-hidden="true" /> {step}…
            </span>
          )}
          <Button submit kind="primary" icon="play" changes disabled={step !== ''}>
            Run
          </Button>
        </footer>
      </form>
    </section>
  );
}

/** Resolves with the id. An image that is not here is pulled. */
async function create(form: RunForm, body: object, told: (now: Told) => void): Promise<string> {
  const path = docker(`/containers/create${query({ name: form.name.trim() })}`);
  try {
    return (await send<{ Id: string }>('POST', path, body)).Id;
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404 || !error.message.includes('No such image'))
      throw error;
  }
  told(nothingTold);
  const names = query(pullNames(form.image.trim()));
  await follow(await request(docker(`/images/create${names}`), { method: 'POST' }), told);
  return (await send<{ Id: string }>('POST', path, body)).Id;
}

function Field({
  label,
  hint,
  children,
  class: extra = '',
}: {
  label: string;
  hint?: string;
  children: preact.ComponentChildren;
  class?: string;
}) {
  return (
    <label class={`field ${extra}`}>
      <span>{label}</span>
      {children}
      {hint !== undefined && <small>{hint}</small>}
    </label>
  );
}

interface LinesProps {
  form: RunForm;
  field: ListField;
  label: string;
  placeholder: string;
  add: string;
  set: (more: Partial<RunForm>) => void;
  options?: string[];
}

function Lines({ form, field, label, placeholder, add, set, options = [] }: LinesProps) {
  const lines = form[field];
  const change = (at: number, text: string): void =>
    set({ [field]: lines.map((line, index) => (index === at ? text : line)) });
  return (
    <fieldset class="field lines">
      <legend>{label}</legend>
      {lines.map((line, index) => (
        <span class="line-field" key={index}>
          <input
            class="mono"
            aria-label={`${label} ${index + 1}`}
            value={line}
            placeholder={placeholder}
            spellcheck={false}
            list={options.length > 0 ? `${field}-names` : undefined}
            onInput={({ currentTarget }) => change(index, currentTarget.value)}
          />
          <Button
            icon="close"
            kind="quiet"
            label={`Without ${line || 'this'}`}
            onClick={() => set({ [field]: lines.filter((_, at) => at !== index) })}
          />
        </span>
      ))}
      {options.length > 0 && (
        <datalist id={`${field}-names`}>
          {options.map((name) => (
            <option key={name} value={name} />
          ))}
        </datalist>
      )}
      <button type="button" class="as-link add-line" onClick={() => set({ [field]: [...lines, ''] })}>
        <Icon name="plus" size={14} /> {add}
      </button>
    </fieldset>
  );
}
