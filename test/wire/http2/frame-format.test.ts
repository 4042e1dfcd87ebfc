import { testCases } from '../../support/h2/conformance-server.js';
import { frameFormat } from './cases/frame-format.js';

testCases(frameFormat);
