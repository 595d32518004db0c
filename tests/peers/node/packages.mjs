// The packages are installed outside the source tree, and an `import` of an ES module does not look at NODE_PATH: require does.
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

export const require = createRequire(import.meta.url);
export const importPackage = (name) => import(pathToFileURL(require.resolve(name)));
