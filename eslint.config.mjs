import tseslint from 'typescript-eslint';

/** Who may import whom (docs/architecture.md); changing this table is an ADR. */
const layers = [
  { files: ['src/api/v1.41/**'], forbid: ['engine', 'translate', 'vm', 'storage', 'network', 'registry'] },
  { files: ['src/api/v1/**'], forbid: ['engine', 'translate', 'vm', 'storage', 'network', 'registry'] },
  { files: ['src/engine/**'], forbidModules: ['express', 'node:child_process', 'child_process'] },
  {
    files: ['src/translate/**'],
    forbid: ['storage', 'network', 'registry'],
    forbidModules: ['node:fs', 'node:net', 'node:child_process', 'express'],
  },
  { files: ['src/vm/**'], forbid: ['api', 'engine', 'storage', 'network', 'registry'] },
  { files: ['src/storage/**', 'src/registry/**'], forbid: ['api', 'engine', 'translate', 'vm', 'network'] },
  { files: ['src/builder/**'], forbid: ['api', 'engine', 'vm', 'network'] },
  { files: ['src/network/**'], forbid: ['api', 'engine', 'translate', 'vm', 'storage', 'registry'] },
];

export default tseslint.config(
  { ignores: ['dist', 'build', 'node_modules', 'coverage'] },
  {
    files: ['**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
    },
  },
  ...layers.map(({ files, forbid = [], forbidModules = [] }) => ({
    files,
    rules: {
      '@typescript-eslint/no-restricted-imports': [
        'error',
        {
          paths: forbidModules.map((name) => ({
            name,
            message: 'not in this layer',
            allowTypeImports: true,
          })),
          patterns:
            forbid.length === 0
              ? []
              : [
                  {
                    regex: `^(\\.\\./)+(${forbid.join('|')})(/|$)`,
                    message: 'this layer may not import that one (docs/architecture.md)',
                    allowTypeImports: true,
                  },
                ],
        },
      ],
    },
  })),
  {
    files: ['test/**', 'bench/**'],
    rules: {
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/unbound-method': 'off',
    },
  },
);
