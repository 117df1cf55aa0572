export { exportOnnx, type OnnxInputShape } from './export-onnx.js';
export { type OnnxCall, type OnnxInput, type OnnxModelOptions, onnxModel } from './onnx-model.js';
export type { OnnxData, OnnxSession, OnnxTensor, OnnxTensorClass, OnnxType } from './session.js';
