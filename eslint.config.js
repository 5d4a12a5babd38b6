import tseslint from 'typescript-eslint';

/**
 * The layers of src/, lowest first: each imports only from those below it. test/architecture.test.ts reads every import in
 * any form and checks the same table, the externals of each layer and the absence of cycles; this one speaks in the editor.
 */
const LAYERS = [
  { files: ['src/metrics.ts', 'src/errors.ts', 'src/stringify.ts'], forbidden: ['./*', '../*'] },
  {
    files: ['src/os/**'],
    forbidden: [
      '**/providers/**',
      '**/stats/**',
      '**/csi/**',
      '**/kubelet/**',
      '**/prometheus/**',
      '**/testing/**',
      '**/cli/**',
    ],
  },
  {
    files: ['src/providers/**'],
    forbidden: [
      '**/stats/**',
      '**/csi/**',
      '**/kubelet/**',
      '**/prometheus/**',
      '**/testing/**',
      '**/cli/**',
    ],
  },
  {
    files: ['src/stats/**'],
    forbidden: [
      '**/os/**',
      '**/providers/**',
      '**/csi/**',
      '**/kubelet/**',
      '**/prometheus/**',
      '**/testing/**',
      '**/cli/**',
    ],
  },
  {
    files: ['src/csi/**'],
    forbidden: ['**/stats/**', '**/kubelet/**', '**/prometheus/**', '**/testing/**', '**/cli/**'],
  },
  { files: ['src/kubelet/**'], forbidden: ['**/csi/**', '**/prometheus/**', '**/testing/**', '**/cli/**'] },
  { files: ['src/prometheus/**'], forbidden: ['**/testing/**', '**/cli/**'] },
  { files: ['src/testing/**'], forbidden: ['**/prometheus/**', '**/cli/**'] },
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
  ...LAYERS.map(({ files, forbidden }) => ({
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
