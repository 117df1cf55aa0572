import { useBackend } from '@logsnr/tensorflow';

// Tests run on the backend that people use: native TensorFlow where it can be had, else wasm.
await useBackend({ quiet: true });
