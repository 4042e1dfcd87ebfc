import { testCases } from '../../support/h2/test-cases.js';
import { control } from './cases/control.js';

testCases(control);
