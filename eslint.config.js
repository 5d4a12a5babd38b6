import tseslint from 'typescript-eslint';
import { CONTRACT, LAYERS } from './test/layers.mjs';

/**
 * Each layer imports only from those below it. test/architecture.test.ts reads every import in any form and checks the same
 * table, the packages of each layer and the absence of cycles; this one speaks in the editor.
 */
const FOLDERS = Object.keys(LAYERS).filter((name) => !['contract', 'index'].includes(name));
const LAYER_RULES = [
  { files: CONTRACT.map((name) => `src/${name}`), forbidden: ['./*', '../*', 'node:*'] },
  ...FOLDERS.map((name) => ({
    files: [`src/${name}/**`],
    forbidden: FOLDERS.filter((other) => other !== name && !LAYERS[name].below.includes(other)).map(
      (other) => `**/${other}/**`,
    ),
  })),
];

export default tseslint.config(
  {
    ignores: [
      'dist',
      'coverage',
      'docs/api',
      'native/build',
      'native/test/build',
      'src/csi/gen',
      'test/package/consumer.ts',
    ],
  },
  ...tseslint.configs.strictTypeChecked,
  ...tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: {
      parserOptions: {
        projectService: {
          allowDefaultProject: ['*.js', 'native/*.mjs', 'native/test/*.mjs', 'bench/*.mjs'],
          maximumDefaultProjectFileMatchCount_THIS_WILL_SLOW_DOWN_LINTING: 40,
        },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      // A reason that came from a signal or a provider is passed on as it came, whatever it is.
      '@typescript-eslint/prefer-promise-reject-errors': 'off',
      '@typescript-eslint/only-throw-error': 'off',
      // Callers in JavaScript get the checks that the types promise to others.
      '@typescript-eslint/no-unnecessary-condition': 'off',
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      'no-console': 'error',
    },
  },
  {
    files: ['**/*.mjs', '*.js'],
    extends: [tseslint.configs.disableTypeChecked],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['test/**', 'bench/**'],
    rules: { 'no-console': 'off', '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  ...LAYER_RULES.map(({ files, forbidden }) => ({
    files,
    rules: {
      'no-restricted-imports': [
        'error',
        {
          patterns: [
            {
              group: forbidden,
              message: 'A layer imports only from the layers below it (docs/architecture.md).',
            },
          ],
        },
      ],
    },
  })),
);
