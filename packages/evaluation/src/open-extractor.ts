import type { Runtime } from '@logsnr/core';
import { classifierExtractor } from './classifier-file.js';
import { efficientnetExtractor } from './efficientnet.js';
import type { DirectExtractor } from './extractor.js';
import { inceptionExtractor } from './inception.js';
import { PACKAGED_CLASSIFIERS, type PackagedClassifier, packagedClassifier } from './packaged-classifier.js';

export interface OpenExtractorOptions {
  /** Where it runs: `native()` of `@logsnr/tensorflow` compiles it. Operation by operation unless given. */
  readonly runtime?: Runtime | undefined;
  /** Inception's weights in a file of yours. */
  readonly weights?: string | undefined;
}

const PACKAGED = Object.keys(PACKAGED_CLASSIFIERS) as readonly PackagedClassifier[];

/**
 * The extractor that a text names: `inception`, which FID is measured with; `efficientnet`, EfficientNet-Lite0 of ImageNet; `mnist`,
 * `fashion-mnist` or `cifar10`, the small classifiers of this package; or a safetensors file of `writeClassifier`.
 * @throws RangeError on another text.
 */
export async function openExtractor(
  text: string,
  { runtime, weights }: OpenExtractorOptions = {},
): Promise<DirectExtractor> {
  if (weights !== undefined && text !== 'inception')
    throw new RangeError(`weights of a file are Inception's; "${text}" has its own.`);
  if (text === 'inception') return inceptionExtractor({ runtime, file: weights });
  if (text === 'efficientnet') return efficientnetExtractor({ runtime });
  const packaged = PACKAGED.find((name) => name === text);
  if (packaged) return packagedClassifier(packaged, { runtime });
  if (/\.safetensors$/i.test(text)) return classifierExtractor(text, { runtime });
  throw new RangeError(
    `"${text}" names no extractor; give inception, efficientnet, ${PACKAGED.join(', ')} or a .safetensors file of a classifier.`,
  );
}
