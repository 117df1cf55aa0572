import { registerTensorflowSync } from '@logsnr/tensorflow';
import * as tf from '@tensorflow/tfjs';
import { nodeFileSystemRouter } from '@tensorflow/tfjs-node-gpu/dist/io/file_system.js';
import { fileSystem, nodeHTTPRequest } from '@tensorflow/tfjs-node-gpu/dist/io/index.js';
import { node } from '@tensorflow/tfjs-node-gpu/dist/node.js';
import { version as stock } from '@tensorflow/tfjs-node-gpu/dist/version.js';

// As the stock package does when it is imported: the backend is there and is the current one.
registerTensorflowSync();
void tf.setBackend('tensorflow');
tf.io.registerLoadRouter(nodeFileSystemRouter);
tf.io.registerSaveRouter(nodeFileSystemRouter);

export * from '@tensorflow/tfjs';
export { node };
export const io = { ...tf.io, fileSystem, nodeHTTPRequest };
export const version = { ...tf.version, 'tfjs-node': stock };
