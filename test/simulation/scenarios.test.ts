/** Every history of the book of counterexamples, forced. */
import test from 'node:test';
import { SCENARIOS } from './scenarios.ts';

for (const { name, history, play } of SCENARIOS) test(`${name}: ${history}`, play);
