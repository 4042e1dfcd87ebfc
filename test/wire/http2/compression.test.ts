import { testCases } from '../../support/h2/test-cases.js';
import { compression } from './cases/compression.js';

testCases(compression);
