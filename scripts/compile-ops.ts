// Writes docs/compile-ops.md: which operations of TensorFlow.js `compile` takes, and which it refuses.
import { writeFileSync } from 'node:fs';
import { useBackend } from '@logsnr/tensorflow';
import { pageOf, sweep } from '../packages/tensorflow/test/sweep.js';

await useBackend({ backend: 'tensorflow', quiet: true });
writeFileSync(new URL('../docs/compile-ops.md', import.meta.url), pageOf(await sweep()));
