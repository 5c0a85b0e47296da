/** Loads the project with one rule off: to be imported, with `SIMULATION_MUTATION` set, before anything of the project. */
import { readFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { fileURLToPath } from 'node:url';
import { mutated, mutationNamed } from './mutations.ts';

const root = new URL('../../', import.meta.url).href;
const name = process.env['SIMULATION_MUTATION'];

if (name !== undefined) {
  const mutation = mutationNamed(name);
  const files = new Set(mutation.edits.map(({ file }) => file));
  registerHooks({
    load(url, context, nextLoad) {
      const file = url.startsWith(root) ? url.slice(root.length) : '';
      if (!files.has(file)) return nextLoad(url, context);
      const source = mutated(mutation, file, readFileSync(fileURLToPath(url), 'utf8'));
      return { format: 'module-typescript', source, shortCircuit: true };
    },
  });
}
