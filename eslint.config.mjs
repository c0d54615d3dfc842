import { dirname, join, relative } from 'node:path';
import tseslint from 'typescript-eslint';
import { complaint, walls } from './scripts/walls.mjs';

/** Holds imports to the rows of scripts/walls.mjs; circles are for scripts/check-walls.mjs, which sees all files at once. */
const wallsRule = {
  meta: { type: 'problem', schema: false },
  create(context) {
    const from = relative(import.meta.dirname, context.filename);
    const check = (node, source, typeOnly) => {
      if (typeof source?.value !== 'string') return;
      const specifier = source.value;
      const isOurs = specifier.startsWith('.');
      const to = isOurs ? join(dirname(from), specifier).replace(/(\.js|\.ts)?$/, '.ts') : undefined;
      const message = complaint({ from, to, specifier, typeOnly });
      if (message !== undefined) context.report({ node, message });
    };
    const allAreTypes = ({ specifiers }) =>
      specifiers.length > 0 && specifiers.every(({ importKind }) => importKind === 'type');
    return {
      ImportDeclaration: (node) => check(node, node.source, node.importKind === 'type' || allAreTypes(node)),
      ExportNamedDeclaration: (node) => check(node, node.source, node.exportKind === 'type'),
      ExportAllDeclaration: (node) => check(node, node.source, node.exportKind === 'type'),
      ImportExpression: (node) => check(node, node.source, false),
      TSImportType: (node) => check(node, node.source, true),
    };
  },
};

export default tseslint.config(
  { ignores: ['dist', 'build', 'node_modules', 'coverage'] },
  {
    files: ['**/*.ts', '**/*.tsx'],
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
  {
    files: ['src/**/*.ts', 'web/src/**/*.ts', 'web/src/**/*.tsx'],
    plugins: { caisson: { rules: { walls: wallsRule } } },
    // The table is an option so that a changed one makes ESLint's cache worthless.
    rules: { 'caisson/walls': ['error', walls] },
  },
  {
    // Kubernetes' client declares what its API says as classes; what it sends and answers are plain objects.
    files: ['src/cluster/**', 'test/kubernetes/**', 'test/unit/cluster/**'],
    rules: {
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
    },
  },
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
