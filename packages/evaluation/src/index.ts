export { type Classify, type Extracted, type ExtractOptions, extract } from './extract.js';
export type { DirectExtractor, Extractor, Found } from './extractor.js';
export { guidanceSweep, type SweepOptions, type SweepProgress, type SweepRow } from './guidance-sweep.js';
export { type Give, type ImageSource, sourceOf } from './image-source.js';
export { type Judge, judgeBy, judgeOf, type Scores, type TrainJudgeOptions, trainJudge } from './judge.js';
export { type OnnxExtractorOptions, type OnnxSession, onnxExtractor } from './onnx-extractor.js';
export { type IntervalSearchOptions, type ScoredInterval, searchInterval } from './search-interval.js';
export { type RealScores, sweepMarkdown, sweepText, type TableRow } from './sweep-tables.js';
export { type Vlb, type VlbOptions, vlb } from './vlb.js';
