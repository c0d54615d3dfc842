// `$(NAME)` in commands, arguments and values of variables.

/**
 * Replaces `$(NAME)` by its value and `$$` by `$`. A name that nobody knows stays as it is written.
 * https://kubernetes.io/docs/tasks/inject-data-application/define-interdependent-environment-variables/
 */
export function expandVariables(text: string, variables: ReadonlyMap<string, string>): string {
  return text.replace(/\$(?:\$|\(([^)]*)\))/g, (written, name: string | undefined) =>
    name === undefined ? '$' : (variables.get(name) ?? written),
  );
}
