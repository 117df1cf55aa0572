// What a thread of a dataset runs: it reads the images at places.
import { type ImageForm, type Place, readImages } from './image-file.js';
import { serve } from './serve.js';

void serve<ImageForm, readonly Place[]>(
  (form) => async (places) => ({ images: await readImages(places, form) }),
  () => 'a batch',
);
