import { testCases } from '../../support/h2/conformance-server.js';
import { compression } from './cases/compression.js';

testCases(compression);
