import { testCases } from '../../support/h2/test-cases.js';
import { frameFormat } from './cases/frame-format.js';

testCases(frameFormat);
