#!/usr/bin/env node
/** The same program under the name that kubectl looks for: `kubectl baton …`. */
process.env['BATON_PLATFORM'] ??= 'kubernetes';
process.env['BATON_COMMAND'] ??= 'kubectl baton';
await import('./main.ts');
