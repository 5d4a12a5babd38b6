import tseslint from 'typescript-eslint';
import { LAYERS } from './test/layers.mjs';

/**
 * Each layer imports only from those below it. test/architecture.test.ts holds this for every import in any
 * form, with the packages of each layer and the absence of circles; here the editor shows most of it.
 */
const LAYER_RULES = Object.entries(LAYERS)
  .flatMap(([name, { files, below, apart }]) => {
    const others = Object.keys(LAYERS).filter((other) => other !== name && !below.includes(other));
    return files.map((file) => ({
      file,
      forbidden: [
        ...(apart ? ['./*', '../*'] : []),
        ...others.flatMap((other) => LAYERS[other].files).map((other) => patternFrom(file, other)),
      ].filter((pattern) => pattern !== undefined),
    }));
  })
  // A rule for a folder comes before those for what is in it, which replace it.
  .sort((one, other) => one.file.length - other.file.length)
  .map(({ file, forbidden }) => ({
    files: [`src/${file}${file.endsWith('/') ? '**' : ''}`],
    forbidden,
  }));

/**
 * How a file that lies directly in a place would import those of another; nothing where that is the place
 * itself or above it.
 */
function patternFrom(place, other) {
  if (place.startsWith(other)) return undefined;
  const folders = place.split('/').slice(0, -1);
  const path = other.split('/');
  while (folders.length > 0 && folders[0] === path[0]) {
    folders.shift();
    path.shift();
  }
  const name = path.join('/').replace(/\.ts$/, '.js');
  return `${'../'.repeat(folders.length) || './'}${name}${name.endsWith('/') ? '**' : ''}`;
}

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
      // The reason of a signal, or what a provider threw, is passed on as it is.
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
